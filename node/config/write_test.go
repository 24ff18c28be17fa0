package config

import (
	"errors"
	"testing"
)

func TestWriteConfReportsFailure(t *testing.T) {
	broken := errors.New("disk full")
	if err := mustParse(t, full).WriteConf(failingWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
