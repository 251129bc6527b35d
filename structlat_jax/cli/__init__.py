"""The command line: options made from the configuration, errors in one sentence."""
