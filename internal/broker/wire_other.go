//go:build !unix

package broker

// instant is what unix systems have for writing without a wait.
type instant struct{}

// tryWrite leaves writing to those who may wait.
func (w *wire) tryWrite([]byte) (n int, err error) { return 0, nil }
