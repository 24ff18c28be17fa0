// Package schematest makes the documents in docs/schema and holds what wgnode prints
// against them. It is for tests.
//
// A document is made from the Go type that is printed, its comments, and the constants
// of the types of its members:
//
//	Go type ── reflect ──┐
//	source  ── comments ─┴─> Generate ──> docs/schema/NAME.json ──> Validate
//
// A document leaves room for keys and values that later versions add: known values are
// its "examples". [Validate] leaves none: what a test sees must be documented.
package schematest
