package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// ReloadWith is Reload with what else can be asked for. It reports whether anything was
// changed, or would be.
func (c *Client) ReloadWith(ctx context.Context, req ReloadRequest, out io.Writer) (changed bool, err error) {
	ans, err := call[ReloadAnswer](ctx, c, http.MethodPost, "reload", req)
	if err != nil {
		return false, err
	}
	if _, err := io.WriteString(out, ans.Output); err != nil {
		return false, err
	}
	if ans.Error != "" {
		return false, errors.New(ans.Error)
	}
	if ans.Changed == nil { // of an earlier release
		return strings.Contains("\n"+ans.Output, "\n[#] "), nil
	}
	return *ans.Changed, nil
}
