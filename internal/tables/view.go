package tables

import "github.com/fieldline-iot/fieldline/internal/ddb"

// View makes the table of its name show something that lives elsewhere, in a table
// that was created with the view's key and while the view is active; else that
// table is like any other. What is shown is not written to: such a write is
// refused with Refusal. Its functions are called from many goroutines.
type View struct {
	Key    string      // the only attribute of the key, a string
	Active func() bool // whether the table shows the view now
	// Get returns an item, or an error wrapping iot.ErrNotFound.
	Get func(id string) (ddb.Item, error)
	// Page returns the items behind the id after ("" for the first), at most limit,
	// in the order of their ids.
	Page func(after string, limit int) ([]ddb.Item, error)
	// Refusal says why the table is not written to, and how to have one that is.
	Refusal string
}

func (v *View) complete() bool {
	return v.Key != "" && v.Active != nil && v.Get != nil && v.Page != nil && v.Refusal != ""
}

// fits reports whether a table of that key can show the view.
func (v *View) fits(key *keySchema) bool {
	return key.Hash == v.Key && key.hashType == "S" && key.Range == ""
}

// shown returns the view that the table shows at this moment, nil for none.
func (t *table) shown() *View {
	if t.view == nil || !t.view.Active() {
		return nil
	}
	return t.view
}
