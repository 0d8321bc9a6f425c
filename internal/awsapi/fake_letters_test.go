package awsapi

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// letters is a dead-letter: 5 is a message, 6 an outbox entry with a large body, and
// 7 an entry whose outbox is full.
type letters struct{ gone map[uint64]bool }

func (l *letters) Letter(id uint64) (iot.DeadEntry, error) {
	e := iot.DeadEntry{ID: id, At: testNow(), DeadLetter: iot.DeadLetter{
		Reason: "the payload is not JSON", Rule: "SendToLambdaRule", Action: "lambda", Topic: "sensor/data", Origin: "MyDevice001", Body: []byte("<xml/>"),
	}}
	if id > 5 {
		e.Reason, e.Action = "after 3 attempts: connection refused", "SqsAction"
		e.Outbox, e.Key, e.Body = "sqs/SendToLambdaRule/0", "MyDevice001", bytes.Repeat([]byte("x"), 4097)
	}
	if id < 5 || id > 7 || l.gone[id] {
		return e, fmt.Errorf("dead letter %d: %w", id, iot.ErrNotFound)
	}
	return e, nil
}

func (l *letters) List(after uint64, limit int) (page []iot.DeadEntry, err error) {
	for id := max(5, after+1); len(page) < limit && id <= 7; id++ {
		if e, err := l.Letter(id); err == nil {
			page = append(page, e)
		}
	}
	return page, nil
}

func (l *letters) Retry(_ context.Context, id uint64) error {
	switch id {
	case 5:
		return fmt.Errorf("dead letter 5 is no outbox entry that could go back: %w", iot.ErrConflict)
	case 7:
		return fmt.Errorf("dead letter 7: outbox of action %q holds 9 bytes: %w", "sqs/SendToLambdaRule/0", iot.ErrOutboxFull)
	}
	return l.Drop(id)
}

func (l *letters) Drop(id uint64) error {
	_, err := l.Letter(id)
	if err == nil {
		if l.gone == nil {
			l.gone = make(map[uint64]bool)
		}
		l.gone[id] = true
	}
	return err
}
