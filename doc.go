// Package fieldline holds no code: it is where the tests of the architecture
// live. The program is cmd/fieldline; ARCHITECTURE.md says where everything is.
package fieldline
