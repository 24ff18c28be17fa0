// Package top is a screen of the tunnels of a host, live or as of any time of a recording:
// peers, flows with the ladder of the one that is chosen, and drops.
//
// A [Model] is what is to be seen, and what keys and the mouse do to it. It is used by one
// goroutine, and draws itself on a [Surface], the rows that fit alone. What it shows comes
// from a [Source]: [NewLive] asks the control sockets of nodes, [OpenRecording] has read a
// file. [Run] puts the three on a terminal.
//
// Everything that others wrote is made harmless where it is drawn.
package top
