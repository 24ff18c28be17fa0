package plan

// Dir is where journals are kept. It does not outlast a restart of the
// machine, and neither does what the journals describe.
const Dir = "/run/wgnode"
