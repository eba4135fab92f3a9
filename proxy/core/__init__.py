"""Pure decisions: no event loop, clock, environment, log, network, file or libvips. Time is an argument."""
