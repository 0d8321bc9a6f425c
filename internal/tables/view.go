package tables

import (
	"hash/crc32"

	"github.com/fieldline-iot/fieldline/internal/ddb"
)

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

// show reads the one item that a live view has of a partition key.
func (r *reading) show(v *View, id string) (ddb.ReadOutput, error) {
	g := get{table: r.table, key: ddb.Item{v.Key: ddb.String(id)}}
	item, _, err := g.read(nil)
	if err != nil {
		return ddb.ReadOutput{}, err
	}
	return r.runOver(func(take func(ddb.Item, int) (bool, error)) error {
		if item == nil || r.in.ExclusiveStartKey != nil {
			return nil
		}
		_, err := take(item, item.Size())
		return err
	})
}

// viewPage is how many items of a view are read at once.
const viewPage = 250

// showAll reads a page of a live view. Segments are those of the keys' checksums,
// as in a table.
func (r *reading) showAll(v *View, segment, total int) (ddb.ReadOutput, error) {
	after := ""
	if start := r.in.ExclusiveStartKey; start != nil {
		if id, ok := start[v.Key]; !ok || len(start) != 1 || id.Kind() != ddb.KindString {
			return ddb.ReadOutput{}, invalid("The provided starting key is invalid")
		}
		after = start[v.Key].Text()
	}
	return r.runOver(func(take func(ddb.Item, int) (bool, error)) error {
		for {
			items, err := v.Page(after, viewPage)
			if err != nil || len(items) == 0 {
				return err
			}
			for _, item := range items {
				after = item[v.Key].Text()
				if int(uint64(crc32.ChecksumIEEE([]byte(after)))*uint64(total)>>32) != segment {
					continue
				}
				if more, err := take(item, item.Size()); !more || err != nil {
					return err
				}
			}
		}
	})
}
