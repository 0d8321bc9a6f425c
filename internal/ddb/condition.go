package ddb

// A Condition is a parsed ConditionExpression or FilterExpression.
type Condition struct {
	root condition
}

// Condition parses a ConditionExpression.
func (s *Scope) Condition(text string) (*Condition, error) {
	return s.condition("ConditionExpression", text)
}

// Filter parses a FilterExpression.
func (s *Scope) Filter(text string) (*Condition, error) {
	return s.condition("FilterExpression", text)
}

// Matches reports whether i meets the condition. An item that does not exist is nil.
func (c *Condition) Matches(i Item) bool { return c.root.matches(i) }

// String returns the condition as an expression that parses to it in its scope.
func (c *Condition) String() string { return string(c.root.append(nil)) }

// Attributes returns the top-level attributes that the condition reads, sorted.
// A filter may not read key attributes, which the engine refuses.
func (c *Condition) Attributes() []string { return nil }
