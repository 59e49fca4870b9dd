"""From a detector and frames to defects, scores and figures."""
