// Package workbench answers "what would this statement do?": it tries statements
// on a message, on the last messages of a topic filter and on stored readings,
// without any action. It keeps a bounded number of recent messages for that.
//
// Nothing is changed by a trial. A statement that calls out of the process is
// evaluated with what [Config.Call] answers; functions are never invoked.
//
// A [Workbench] is safe for concurrent use. Trials take turns: only a few run at
// once.
package workbench
