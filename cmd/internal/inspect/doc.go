// Package inspect has the commands that show the state of a host's tunnels and their peers: status,
// top, web and history; bundle, which gathers what a bug report needs; and demo. What they show is
// an overview of the host, made once by running.Host, so that all of them tell the same.
package inspect
