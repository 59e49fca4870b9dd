"""Readers, one small module a format. Others come in by `data_prep.formats.stored.open_stored`."""
