// Package conffile has the commands that read, check and write configuration files: init, check,
// convert, save, and peer with those below it. No tunnel need run. One that does is asked to take
// over its file after a peer was added or removed; if it refuses, the file is put back.
package conffile
