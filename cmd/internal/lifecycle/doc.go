// Package lifecycle has the commands that bring tunnels up, keep them to their files and take them
// down: up, run, down, reload, apply, recover, exec, device, connect and monitor. Up is run in a
// process that stays in the background: it decides what is to be done, hands that on, and waits
// until the process is ready or has failed. What keeps a tunnel from coming up gets its hint here.
package lifecycle
