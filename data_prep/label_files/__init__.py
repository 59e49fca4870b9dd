"""Labels that people made, in the files they made them in. `reading.read_labels` reads them all."""
