// Package daemon is what a process that holds a tunnel is to those around it: to the command that has
// put it into the background and waits to hear that it is ready (Background, Reporter), to systemd
// (Notifier), to its log, and to other processes of the same user, from whom its memory is hidden
// (PrepareProcess). It knows nothing of tunnels.
package daemon
