package iot

import "time"

// LogGroup is a group of log streams, as CloudWatch Logs has it.
type LogGroup struct {
	Name          string
	Created       time.Time
	RetentionDays int // 0 keeps events until the group is full
	Tags          map[string]string
	StoredBytes   int64 // of its messages, and 26 for each, as AWS counts them
}

// LogStream is a sequence of events of one source in a group.
type LogStream struct {
	Name    string
	Created time.Time
	// The times of the earliest and the latest event that the stream has had, and
	// when the last one was taken; zero while it has had none.
	FirstEvent, LastEvent, LastIngestion time.Time
}

// LogGroupQuery selects log groups by name: behind the name After, at most Limit of
// them. "" is no condition.
type LogGroupQuery struct {
	Prefix, Contains, After string
	Limit                   int
}

// LogStreamQuery selects streams of a group: behind the stream After in the order
// asked for, at most Limit of them. By name, Prefix narrows them.
type LogStreamQuery struct {
	Group, Prefix string
	ByLastEvent   bool
	Descending    bool
	After         LogStream // only Name and LastEvent count; "" is from the start
	Limit         int
}

// LogEntry is a stored event.
type LogEntry struct {
	N        uint64 // rises by one with each event that its group takes
	Stream   string
	At       time.Time
	Ingested time.Time
	Text     string
}

// LogPosition is the place in a group just before the event of a time and number.
type LogPosition struct {
	At int64 // milliseconds since 1970
	N  uint64
}

// LogQuery selects events of a group in the order of their time.
type LogQuery struct {
	Group        string
	Streams      []string // nil is every stream
	StreamPrefix string
	From, To     int64 // milliseconds since 1970, half-open
	Start        *LogPosition
	Backward     bool   // the events before Start, or the latest, instead of those behind it
	Pattern      string // a CloudWatch Logs filter pattern; "" matches everything
	Limit        int
}

// LogPage is the events of a query, oldest first, as many as fit.
type LogPage struct {
	Entries []LogEntry
	// Next is where the query goes on; nil when it has come to its end.
	Next *LogPosition
}

// LogRejections says which events of a put were not taken, as indices in it:
// those below TooOld and Expired, and those from TooNew on. -1 is none.
type LogRejections struct{ TooNew, TooOld, Expired int }
