"""The library of defects: every one cut out, aligned, and grouped into kinds."""
