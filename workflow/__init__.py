"""The command line, the configuration, the run folder and the stages in order."""
