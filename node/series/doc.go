// Package series follows a series of probes through a tunnel. Package ping sends them and hears their
// answers, and knows nothing of tunnels; the tunnel's events say when the packets of each passed the
// checkpoints. One loop hands both to a tracker (probe/legs), which makes loss and times of each leg
// of them. Where the other end of the tunnel records meanwhile, its events are joined in at the
// end: messages that both hosts have seen bound how their clocks lie, without which the legs there
// and back have no times.
package series
