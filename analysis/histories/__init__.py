"""What becomes of each defect: drift taken out, frames linked, kinds that change, places that are left."""
