package javatime

import (
	"slices"
	"strings"
)

// longName is what a short name stands for in the part of the world where id is; ""
// when it is not known.
func longName(short, id string) string {
	switch asian := strings.HasPrefix(id, "Asia/"); {
	case short == "IST" && (id == "Europe/Dublin" || id == "Eire"):
		return "Irish Standard Time"
	case short == "IST" && (id == "Asia/Jerusalem" || id == "Asia/Tel_Aviv" || id == "Israel"):
		return "Israel Standard Time"
	case short == "CST" && (id == "Asia/Taipei" || id == "ROC"):
		return "Taipei Standard Time"
	case short == "CST" && (asian || id == "PRC"):
		return "China Standard Time"
	case short == "PST" && asian:
		return "Philippine Standard Time"
	case id == "America/Havana" || id == "Cuba":
		if short == "CST" {
			return "Cuba Standard Time"
		}
		return "Cuba Daylight Time"
	}
	for _, name := range []string{
		"ACDT Australian Central Daylight Time",
		"ACST Australian Central Standard Time",
		"ADT Atlantic Daylight Time",
		"AEDT Australian Eastern Daylight Time",
		"AEST Australian Eastern Standard Time",
		"AKDT Alaska Daylight Time",
		"AKST Alaska Standard Time",
		"AST Atlantic Standard Time",
		"AWST Australian Western Standard Time",
		"BST British Summer Time",
		"CAT Central Africa Time",
		"CDT Central Daylight Time",
		"CEST Central European Summer Time",
		"CET Central European Standard Time",
		"CST Central Standard Time",
		"ChST Chamorro Standard Time",
		"EAT East Africa Time",
		"EDT Eastern Daylight Time",
		"EEST Eastern European Summer Time",
		"EET Eastern European Standard Time",
		"EST Eastern Standard Time",
		"GMT Greenwich Mean Time",
		"HDT Hawaii-Aleutian Daylight Time",
		"HKT Hong Kong Standard Time",
		"HST Hawaii-Aleutian Standard Time",
		"IDT Israel Daylight Time",
		"IST India Standard Time",
		"JST Japan Standard Time",
		"KST Korean Standard Time",
		"MDT Mountain Daylight Time",
		"MSK Moscow Standard Time",
		"MST Mountain Standard Time",
		"NDT Newfoundland Daylight Time",
		"NST Newfoundland Standard Time",
		"NZDT New Zealand Daylight Time",
		"NZST New Zealand Standard Time",
		"PDT Pacific Daylight Time",
		"PKT Pakistan Standard Time",
		"PST Pacific Standard Time",
		"SAST South Africa Standard Time",
		"SST Samoa Standard Time",
		"UTC Coordinated Universal Time",
		"WAT West Africa Standard Time",
		"WEST Western European Summer Time",
		"WET Western European Standard Time",
		"WIB Western Indonesia Time",
		"WIT Eastern Indonesia Time",
		"WITA Central Indonesia Time",
	} {
		if long, ok := strings.CutPrefix(name, short+" "); ok {
			return long
		}
	}
	return ""
}

// civil is how zones are called that the tz database gives only numbers to: their ids,
// and the short and the long name.
type civil struct{ ids, standard, summer string }

// civilName is the short and the long name of such a zone; "" when there are none.
func civilName(id string, summer bool) (short, long string) {
	if strings.HasPrefix(id, "America/Argentina/") {
		id = "America/Buenos_Aires"
	}
	for _, zone := range slices.Concat(americanNames(), asianNames(), oceanNames()) {
		if !slices.Contains(strings.Fields(zone.ids), id) {
			continue
		}
		name := zone.standard
		if summer {
			name = zone.summer
		}
		short, long, _ = strings.Cut(name, " ")
		return short, long
	}
	return "", ""
}

// americanNames are of zones in the Americas.
func americanNames() []civil {
	return []civil{
		{"America/Araguaina America/Bahia America/Belem America/Fortaleza America/Maceio America/Recife America/Santarem America/Sao_Paulo Brazil/East", "BRT Brasilia Standard Time", ""},
		{"America/Buenos_Aires America/Catamarca America/Cordoba America/Jujuy America/Mendoza America/Rosario", "ART Argentina Standard Time", ""},
		{"America/Asuncion", "PYT Paraguay Standard Time", "PYST Paraguay Summer Time"},
		{"America/Boa_Vista America/Campo_Grande America/Cuiaba America/Manaus America/Porto_Velho Brazil/West", "AMT Amazon Standard Time", ""},
		{"America/Bogota", "COT Colombia Standard Time", ""},
		{"America/Caracas", "VET Venezuela Time", ""},
		{"America/Cayenne", "GFT French Guiana Time", ""},
		{"America/Eirunepe America/Porto_Acre America/Rio_Branco Brazil/Acre", "ACT Acre Standard Time", ""},
		{"America/Godthab America/Nuuk", "WGT West Greenland Standard Time", "WGST West Greenland Summer Time"},
		{"America/Guayaquil", "ECT Ecuador Time", ""},
		{"America/Guyana", "GYT Guyana Time", ""},
		{"America/La_Paz", "BOT Bolivia Time", ""},
		{"America/Lima", "PET Peru Standard Time", ""},
		{"America/Miquelon", "PMST St. Pierre & Miquelon Standard Time", "PMDT St. Pierre & Miquelon Daylight Time"},
		{"America/Montevideo", "UYT Uruguay Standard Time", ""},
		{"America/Noronha Brazil/DeNoronha", "FNT Fernando de Noronha Standard Time", ""},
		{"America/Paramaribo", "SRT Suriname Time", ""},
		{"America/Santiago Chile/Continental", "CLT Chile Standard Time", "CLST Chile Summer Time"},
		{"America/Scoresbysund", "EGT East Greenland Standard Time", "EGST East Greenland Summer Time"},
		{"Chile/EasterIsland Pacific/Easter", "EAST Easter Island Standard Time", "EASST Easter Island Summer Time"},
	}
}

// asianNames are of zones in Asia and Europe.
func asianNames() []civil {
	return []civil{
		{"Asia/Aden Asia/Baghdad Asia/Bahrain Asia/Kuwait Asia/Qatar Asia/Riyadh", "AST Arabian Standard Time", ""},
		{"Asia/Almaty", "ALMT East Kazakhstan Time", ""},
		{"Asia/Amman Asia/Damascus", "EET Eastern European Standard Time", ""},
		{"Asia/Anadyr", "ANAT Anadyr Standard Time", ""},
		{"Asia/Aqtau Asia/Aqtobe", "AQTT West Kazakhstan Time", ""},
		{"Asia/Ashgabat Asia/Ashkhabad", "TMT Turkmenistan Standard Time", ""},
		{"Asia/Baku", "AZT Azerbaijan Standard Time", ""},
		{"Asia/Bangkok Asia/Ho_Chi_Minh Asia/Phnom_Penh Asia/Saigon Asia/Vientiane", "ICT Indochina Time", ""},
		{"Asia/Bishkek", "KGT Kyrgyzstan Time", ""},
		{"Asia/Brunei", "BNT Brunei Darussalam Time", ""},
		{"Asia/Chita Asia/Khandyga Asia/Yakutsk", "YAKT Yakutsk Standard Time", ""},
		{"Asia/Choibalsan Asia/Ulaanbaatar Asia/Ulan_Bator", "ULAT Ulaanbaatar Standard Time", ""},
		{"Asia/Colombo", "IST India Standard Time", ""},
		{"Asia/Dacca Asia/Dhaka", "BDT Bangladesh Standard Time", ""},
		{"Asia/Dili", "TLT East Timor Time", ""},
		{"Asia/Dubai Asia/Muscat", "GST Gulf Standard Time", ""},
		{"Asia/Dushanbe", "TJT Tajikistan Time", ""},
		{"Asia/Hovd", "HOVT Hovd Standard Time", ""},
		{"Asia/Irkutsk", "IRKT Irkutsk Standard Time", ""},
		{"Asia/Istanbul Europe/Istanbul Turkey", "TRT Turkey Time", ""},
		{"Asia/Kabul", "AFT Afghanistan Time", ""},
		{"Asia/Kamchatka", "PETT Petropavlovsk-Kamchatski Standard Time", ""},
		{"Asia/Kashgar Asia/Urumqi", "XJT Xinjiang Standard Time", ""},
		{"Asia/Kathmandu Asia/Katmandu", "NPT Nepal Time", ""},
		{"Asia/Krasnoyarsk Asia/Novokuznetsk", "KRAT Krasnoyarsk Standard Time", ""},
		{"Asia/Kuala_Lumpur Asia/Kuching", "MYT Malaysia Time", ""},
		{"Asia/Magadan", "MAGT Magadan Standard Time", ""},
		{"Asia/Novosibirsk", "NOVT Novosibirsk Standard Time", ""},
		{"Asia/Omsk", "OMST Omsk Standard Time", ""},
		{"Asia/Oral", "ORAT West Kazakhstan Time", ""},
		{"Asia/Qostanay", "QOST East Kazakhstan Time", ""},
		{"Asia/Qyzylorda", "QYZT West Kazakhstan Time", ""},
		{"Asia/Rangoon Asia/Yangon", "MMT Myanmar Time", ""},
		{"Asia/Sakhalin", "SAKT Sakhalin Standard Time", ""},
		{"Asia/Samarkand Asia/Tashkent", "UZT Uzbekistan Standard Time", ""},
		{"Asia/Singapore Singapore", "SGT Singapore Standard Time", ""},
		{"Asia/Srednekolymsk", "SRET Srednekolymsk Time", ""},
		{"Asia/Tbilisi", "GET Georgia Standard Time", ""},
		{"Asia/Tehran Iran", "IRST Iran Standard Time", ""},
		{"Asia/Thimbu Asia/Thimphu", "BTT Bhutan Time", ""},
		{"Asia/Ust-Nera Asia/Vladivostok", "VLAT Vladivostok Standard Time", ""},
		{"Asia/Yekaterinburg", "YEKT Yekaterinburg Standard Time", ""},
		{"Asia/Yerevan", "AMT Armenia Standard Time", ""},
		{"Europe/Minsk", "MSK Moscow Standard Time", ""},
		{"Europe/Samara", "SAMT Samara Standard Time", ""},
	}
}

// oceanNames are of zones elsewhere.
func oceanNames() []civil {
	return []civil{
		{"Atlantic/Azores", "AZOT Azores Standard Time", "AZOST Azores Summer Time"},
		{"Atlantic/Cape_Verde", "CVT Cape Verde Standard Time", ""},
		{"Atlantic/South_Georgia", "GST South Georgia Time", ""},
		{"Atlantic/Stanley", "FKT Falkland Islands Standard Time", ""},
		{"Australia/Eucla", "ACWST Australian Central Western Standard Time", ""},
		{"Australia/LHI Australia/Lord_Howe", "LHST Lord Howe Standard Time", "LHDT Lord Howe Daylight Time"},
		{"Indian/Chagos", "IOT Indian Ocean Time", ""},
		{"Indian/Christmas", "CXT Christmas Island Time", ""},
		{"Indian/Cocos", "CCT Cocos Islands Time", ""},
		{"Indian/Kerguelen", "TFT French Southern & Antarctic Time", ""},
		{"Indian/Mahe", "SCT Seychelles Time", ""},
		{"Indian/Maldives", "MVT Maldives Time", ""},
		{"Indian/Mauritius", "MUT Mauritius Standard Time", ""},
		{"Indian/Reunion", "RET Réunion Time", ""},
		{"Kwajalein Pacific/Kwajalein Pacific/Majuro", "MHT Marshall Islands Time", ""},
		{"NZ-CHAT Pacific/Chatham", "CHAST Chatham Standard Time", "CHADT Chatham Daylight Time"},
		{"Pacific/Apia", "WSST Apia Standard Time", ""},
		{"Pacific/Bougainville", "BST Bougainville Standard Time", ""},
		{"Pacific/Chuuk Pacific/Truk Pacific/Yap", "CHUT Chuuk Time", ""},
		{"Pacific/Efate", "VUT Vanuatu Standard Time", ""},
		{"Pacific/Fakaofo", "TKT Tokelau Time", ""},
		{"Pacific/Fiji", "FJT Fiji Standard Time", ""},
		{"Pacific/Funafuti", "TVT Tuvalu Time", ""},
		{"Pacific/Galapagos", "GALT Galapagos Time", ""},
		{"Pacific/Gambier", "GAMT Gambier Time", ""},
		{"Pacific/Guadalcanal", "SBT Solomon Islands Time", ""},
		{"Pacific/Kiritimati", "LINT Line Islands Time", ""},
		{"Pacific/Kosrae", "KOST Kosrae Time", ""},
		{"Pacific/Marquesas", "MART Marquesas Time", ""},
		{"Pacific/Nauru", "NRT Nauru Time", ""},
		{"Pacific/Niue", "NUT Niue Time", ""},
		{"Pacific/Norfolk", "NFT Norfolk Island Standard Time", "NFST Norfolk Island Daylight Time"},
		{"Pacific/Noumea", "NCT New Caledonia Standard Time", ""},
		{"Pacific/Palau", "PWT Palau Time", ""},
		{"Pacific/Pitcairn", "PST Pitcairn Time", ""},
		{"Pacific/Pohnpei Pacific/Ponape", "PONT Ponape Time", ""},
		{"Pacific/Port_Moresby", "PGT Papua New Guinea Time", ""},
		{"Pacific/Rarotonga", "CKT Cook Islands Standard Time", ""},
		{"Pacific/Tahiti", "TAHT Tahiti Time", ""},
		{"Pacific/Tarawa", "GILT Gilbert Islands Time", ""},
		{"Pacific/Tongatapu", "TOT Tonga Standard Time", ""},
		{"Pacific/Wake", "WAKT Wake Island Time", ""},
		{"Pacific/Wallis", "WFT Wallis & Futuna Time", ""},
	}
}

// abbreviated is the zone that a short name is read as. Java takes it from any zone
// that has the name; here it is the one with most people.
func abbreviated(short string) (string, bool) {
	for _, zone := range []string{
		"America/Los_Angeles PST PDT",
		"America/Denver MST MDT",
		"America/Chicago CST CDT",
		"America/New_York EST EDT",
		"America/Anchorage AKST AKDT",
		"Pacific/Honolulu HST HDT",
		"America/Halifax AST ADT",
		"America/St_Johns NST NDT",
		"America/Sao_Paulo BRT BRST",
		"America/Argentina/Buenos_Aires ART",
		"America/Bogota COT",
		"America/Lima PET",
		"America/Caracas VET",
		"Europe/London BST",
		"Europe/Lisbon WEST",
		"Europe/Paris CEST",
		"Europe/Bucharest EEST",
		"Europe/Moscow MSK",
		"Europe/Istanbul TRT",
		"Asia/Kolkata IST",
		"Asia/Jerusalem IDT",
		"Asia/Karachi PKT",
		"Asia/Kathmandu NPT",
		"Asia/Dhaka BDT",
		"Asia/Bangkok ICT",
		"Asia/Jakarta WIB",
		"Asia/Singapore SGT",
		"Asia/Hong_Kong HKT",
		"Asia/Tokyo JST",
		"Asia/Seoul KST",
		"Australia/Perth AWST",
		"Australia/Adelaide ACST ACDT",
		"Australia/Sydney AEST AEDT",
		"Pacific/Auckland NZST NZDT",
		"Africa/Johannesburg SAST",
		"Africa/Nairobi EAT",
		"Africa/Maputo CAT",
		"Africa/Lagos WAT",
	} {
		if names := strings.Fields(zone); slices.Contains(names[1:], short) {
			return names[0], true
		}
	}
	return "", false
}
