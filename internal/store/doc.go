// Package store keeps everything of Fieldline that must survive: readings (the
// latest of each device and the history), the registry of things, certificates,
// policies and rules, MQTT sessions with the messages that wait for them,
// retained messages, the outbox of work outside the process, and the dead-letter.
//
// It decides nothing: what a message changes arrives as effects, and the
// package applies them, in order, once, and durably. One [Store.Run] sequences
// the effects of every message that waits into one atomic batch and one sync,
// and builds the next batch while the last one syncs. Pebble holds all of it
// and is the only thing here that writes to the disk.
//
// Every method may be called from any goroutine, between [Open] and
// [Store.Close]. DESIGN.md has the key layout and the reasons.
package store
