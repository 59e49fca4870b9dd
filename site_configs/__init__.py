"""One function per kind of site: typed settings in, a Parsl `Config` out."""
