"""The promises under kills, full disks, cut wires and peers that misbehave."""
