package iot

import (
	"encoding/json"
	"fmt"
)

// MarshalJSON writes the action in AWS's shape, {"kind": config}.
func (a Action) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]json.RawMessage{a.Kind: a.Config})
}

// UnmarshalJSON reads AWS's shape; an object with no key or several is refused.
func (a *Action) UnmarshalJSON(text []byte) error {
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(text, &kinds); err != nil {
		return err
	}
	if len(kinds) != 1 {
		return fmt.Errorf("an action has exactly one kind, this one has %d: %w", len(kinds), ErrInvalid)
	}
	for kind, config := range kinds {
		a.Kind, a.Config = kind, config
	}
	return nil
}
