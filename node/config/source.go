package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// readKey reads a key from where it is kept. The key of the file that says so
// is name and the kind of the source.
func readKey[K any](r *resolver, from Source, name string, line int, parse func(string) (K, error)) K {
	var k K
	if from.Kind == SourceCommand && r.commands != nil {
		place := Error{File: r.from.Path, Line: line, Key: name + "_" + string(from.Kind)}
		*r.commands = append(*r.commands, strings.TrimSuffix(place.Error(), ": "))
		return k
	}
	text, err := r.read(from)
	if err == nil {
		if k, err = parse(strings.TrimSpace(text)); err != nil {
			one := "one " + last(name)
			if name == "headers" {
				one = name
			}
			err = fmt.Errorf("%s must give %s and nothing else: %w", from, one, err)
		}
	}
	if err != nil {
		r.fail(line, name+"_"+string(from.Kind), err)
	}
	return k
}

// last is "key" of private_key, and the whole of password.
func last(name string) string { return name[strings.LastIndexByte(name, '_')+1:] }

// String names the source in an error. A command is not shown: it may hold a
// secret of another kind.
func (s Source) String() string {
	if s.Kind == SourceCommand {
		return "the command"
	}
	return string(s.Kind) + " " + s.Value
}

func (r *resolver) read(from Source) (string, error) {
	switch from.Kind {
	case SourceFile:
		return r.readFile(from.Value)
	case SourceCommand:
		if err := checkCommand(from.Value, r.from.trusted()); err != nil {
			return "", err
		}
		return runForKey(r.ctx, from.Value, commandTime)
	case SourceCredential:
		folder := os.Getenv("CREDENTIALS_DIRECTORY")
		if folder == "" {
			return "", errors.New("$CREDENTIALS_DIRECTORY is not set: only systemd services with LoadCredential= or the like have credentials")
		}
		return r.readFile(filepath.Join(folder, from.Value))
	}
	return "", fmt.Errorf("unknown kind of source %q", from.Kind)
}

// maxKeyFile bounds what is read in search of a key, in bytes.
const maxKeyFile = 4096

func (r *resolver) readFile(path string) (string, error) {
	f, doubts, err := openTrusted(path, r.from.trusted())
	if err != nil {
		return "", err
	}
	r.warnings = append(r.warnings, doubts...)
	defer f.Close() // nothing was written: its error says nothing
	secret, warnings, err := secretIn(f)
	if err != nil {
		return "", err
	}
	r.secretFiles, r.warnings = append(r.secretFiles, secret), append(r.warnings, warnings...)
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	return string(text), err
}
