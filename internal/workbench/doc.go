// Package workbench answers "what would this statement do?": it tries statements
// on a message, on the last messages of a topic filter and on stored readings,
// without any action. It keeps a bounded number of recent messages for that.
package workbench
