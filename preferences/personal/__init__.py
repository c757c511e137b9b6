"""What people may do with what is kept about them: confirm their address, take their data along, have it erased."""
