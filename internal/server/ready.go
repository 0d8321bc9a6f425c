package server

import (
	"encoding/json"
	"fmt"
	"os"
)

// writeReadyFile tells who waits for it that every listener accepts, and where.
func writeReadyFile(path string, a Addresses) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := writeFile(path, string(text)+"\n", 0o644); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	return nil
}

// removeReadyFile takes it back; a file that is gone already is fine.
func removeReadyFile(path string) {
	_ = os.Remove(path)
}
