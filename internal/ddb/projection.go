package ddb

// A Projection is a parsed ProjectionExpression, or the paths that an update
// touches.
type Projection struct {
	paths []path
}

// Projection parses a ProjectionExpression.
func (s *Scope) Projection(text string) (*Projection, error) { return nil, nil }

// ProjectAttributes returns the projection of the top-level attributes named, as
// the older AttributesToGet asks for.
func ProjectAttributes(names ...string) (*Projection, error) { return nil, nil }

// Apply returns what i has of the paths. Elements of one list keep their order and
// close up.
func (p *Projection) Apply(i Item) Item { return nil }

// Attributes returns the top-level attributes that the projection reads, sorted.
func (p *Projection) Attributes() []string { return nil }

// String returns the projection as an expression that parses to it in its scope.
func (p *Projection) String() string { return "" }
