package ddb

// An Update is a parsed UpdateExpression.
type Update struct {
}

// Update parses an UpdateExpression.
func (s *Scope) Update(text string) (*Update, error) { return nil, nil }

// Apply returns old as the update leaves it. Every operand and index is read from
// old, which is not changed. The engine gives an item that does not exist yet as
// one that has its key attributes only.
func (u *Update) Apply(old Item) (Item, error) { return nil, nil }

// Attributes returns the top-level attributes that the update changes, sorted, so
// that the engine can refuse those of the key.
func (u *Update) Attributes() []string { return nil }

// Touched returns the paths that the update changes: applied to the item as it was
// it gives UPDATED_OLD, applied to what [Update.Apply] returned UPDATED_NEW.
func (u *Update) Touched() *Projection { return nil }

// String returns the update as an expression that parses to it in its scope.
func (u *Update) String() string { return "" }
