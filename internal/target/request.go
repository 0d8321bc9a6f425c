package target

import (
	"encoding/json"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// parse reads the request of an entry's task, and of the task no more than performing
// it takes: its rule and action. The error wraps [iot.ErrInvalid].
func parse[R any](e iot.OutboxEntry) (*iot.Task, *R, error) {
	var task struct {
		Rule    string `json:"rule"`
		Action  string `json:"action"`
		Request *R     `json:"request"`
	}
	if err := json.Unmarshal(e.Body, &task); err != nil {
		return nil, nil, fmt.Errorf("outbox task of rule %q: %w: %w", task.Rule, err, iot.ErrInvalid)
	}
	if task.Request == nil {
		return nil, nil, fmt.Errorf("outbox task of rule %q without a request: %w", task.Rule, iot.ErrInvalid)
	}
	return &iot.Task{Rule: task.Rule, Action: task.Action}, task.Request, nil
}

// missing says that a request lacks what it cannot do without.
func missing(task *iot.Task, what string) error {
	return fmt.Errorf("%s of rule %s without %s: %w", task.Action, task.Rule, what, iot.ErrInvalid)
}
