module github.com/fieldline-iot/fieldline/compat

go 1.26.0

require (
	github.com/eclipse/paho.golang v0.23.0
	github.com/fieldline-iot/fieldline v0.0.0
)

replace github.com/fieldline-iot/fieldline => ../
