package ddb

type path struct{ steps []string }

type condition interface {
	matches(i Item) bool
	append(dst []byte) []byte
}

func (s *Scope) condition(parameter, text string) (*Condition, error) { return nil, nil }

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
