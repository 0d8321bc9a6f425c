package target

import (
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// parse reads the request of an entry's task. The error wraps [iot.ErrInvalid].
func parse[R any](e iot.OutboxEntry) (*iot.Task, *R, error) {
	task, err := iot.ParseTask(e.Body)
	if err != nil {
		return nil, nil, err
	}
	request := new(R)
	if len(task.Request) == 0 {
		return nil, nil, fmt.Errorf("outbox task of rule %s without a request: %w", task.Rule, iot.ErrInvalid)
	}
	if err := json.Unmarshal(task.Request, request); err != nil {
		return nil, nil, fmt.Errorf("request of rule %s: %w: %w", task.Rule, err, iot.ErrInvalid)
	}
	return task, request, nil
}

// missing says that a request lacks what it cannot do without.
func missing(task *iot.Task, what string) error {
	return fmt.Errorf("%s of rule %s without %s: %w", task.Action, task.Rule, what, iot.ErrInvalid)
}
