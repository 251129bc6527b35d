"""What is kept on disk: run folders, arrays under a seal, checkpoints, files of agents."""
