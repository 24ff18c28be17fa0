package plan

import "testing"

// No kind of step is forgotten when a host is compared with what was done to it.
func TestOperationsAreCompared(t *testing.T) {
	for op, o := range operations {
		if o.differs == nil {
			t.Errorf("%s: there is nothing that says how it differs", op)
		}
	}
}
