package port

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func ownerOf(network string, port uint16) Owner {
	for _, table := range []string{network, network + "6"} {
		inodes, err := socketsAt("/proc/thread-self/net/"+table, network, port)
		if err != nil {
			continue // no IPv6, or no /proc
		}
		for _, inode := range inodes {
			if inode == "0" {
				return Owner{Kernel: true}
			}
			if o := holder(inode); o.PID != 0 {
				return o
			}
		}
	}
	return Owner{}
}

// socketsAt returns the inodes of sockets that are bound to the port.
func socketsAt(table, network string, port uint16) ([]string, error) {
	f, err := os.Open(table)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	const local, state, inode = 1, 3, 9
	const listening = "0A" // TCP_LISTEN; the others of TCP keep no listener away
	want := fmt.Sprintf(":%04X", port)
	var inodes []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) > inode && strings.HasSuffix(words[local], want) && (network == "udp" || words[state] == listening) {
			inodes = append(inodes, words[inode])
		}
	}
	return inodes, lines.Err()
}

// holder returns the process that has the socket open.
func holder(inode string) Owner {
	want := "socket:[" + inode + "]"
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	if err != nil {
		return Owner{}
	}
	for _, fd := range descriptors {
		if to, err := os.Readlink(fd); err != nil || to != want {
			continue // gone, or another user's
		}
		dir := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		return Owner{PID: pid, Name: strings.TrimSpace(string(name))}
	}
	return Owner{}
}
