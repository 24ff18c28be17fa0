// Package bothends explains a flow while both ends of its tunnel record, and judges what the two
// saw together. This host sends the probe and asks its own node, as always; the other host's wgnode
// records meanwhile (node/remote), from a little before until what was sent last must have arrived.
// Then the two recordings are one (probe/merge), in which a message that left here and never came
// there is lost between them, and not somewhere. A verdict of this host's that is certain stays: it
// sent the probe, and knows best what became of it. Else that of both takes its place.
package bothends
