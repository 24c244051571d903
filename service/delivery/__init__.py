"""The sending side: a C-STORE SCU, and the courier that takes results to their destinations."""
