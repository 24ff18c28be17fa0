// Package traffic has the commands that show packets one by one as they pass: watch, drops and
// record. A node filters and sends its events, the command makes lines or a file of them. What the
// kernel drops is another source, which is watched beside the node's events and printed among them.
package traffic
