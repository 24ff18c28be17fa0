// Package recordings tries what wgnode records, and what it says with the
// recordings of two hosts that one host alone cannot know.
package recordings
