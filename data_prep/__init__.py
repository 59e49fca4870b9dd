"""Frames in, labelled tiles out."""
