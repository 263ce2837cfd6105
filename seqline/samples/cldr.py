"""Facts that every CLDR locale can write: dates, prices, measurements, lists of names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from babel import Locale, dates, lists, numbers, units
from babel.languages import get_official_languages

Render = Callable[[Locale], str]
"""Writes one fact as a locale writes it."""

_CURRENCIES = (
    "AUD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HUF IDR ILS INR ISK JPY KRW MAD MXN MYR NGN NOK "
    "NZD PEN PHP PLN RON SEK SGD THB TRY UAH USD VND ZAR"
)
_UNITS = (
    "angle-degree area-hectare area-square-centimeter area-square-kilometer area-square-meter "
    "area-square-mile digital-byte digital-gigabyte digital-kilobyte digital-megabyte digital-terabyte "
    "duration-decade electric-ampere electric-volt energy-kilocalorie energy-kilojoule "
    "energy-kilowatt-hour frequency-gigahertz frequency-hertz frequency-kilohertz frequency-megahertz "
    "graphics-megapixel graphics-pixel length-centimeter length-inch length-kilometer length-light-year "
    "length-meter length-mile length-millimeter length-nautical-mile mass-gram mass-kilogram "
    "mass-milligram power-kilowatt power-megawatt power-watt pressure-bar pressure-hectopascal "
    "speed-kilometer-per-hour speed-knot speed-meter-per-second speed-mile-per-hour temperature-celsius "
    "temperature-fahrenheit volume-barrel volume-centiliter volume-cubic-meter volume-gallon "
    "volume-liter volume-milliliter"
)
_NOT_COUNTRIES = {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}
_DURATIONS = ("year", "month", "week", "day", "hour", "minute", "second")
_AGO = (("day", 6), ("week", 3), ("hour", 20), ("minute", 50), ("year", 90))
_FIRST_DAY = date(2000, 1, 1).toordinal()
_LAST_DAY = date(2029, 12, 31).toordinal()


@dataclass(frozen=True)
class Names:
    """The names that both locales have.

    Attributes:
        territories: ISO 3166 codes.
        languages: CLDR language codes.
        regional: (language, territory) where the language is official.
        currencies: ISO 4217 codes.
        units: CLDR unit names.
        months: Months whose full and short names differ in the source: "May 5" would have two translations.
    """

    territories: Sequence[str]
    languages: Sequence[str]
    regional: Sequence[tuple[str, str]]
    currencies: Sequence[str]
    units: Sequence[str]
    months: frozenset[int]


def shared_names(source: Locale, target: Locale) -> Names:
    """Finds the names that both locales have, each source name standing for one thing only."""

    def named_once(codes: Sequence[str], names: Callable[[Locale], dict[str, str]]) -> list[str]:
        first = {names(source)[code]: code for code in codes if code in names(source) and code in names(target)}
        return sorted(first.values())

    countries = sorted(code for code in source.territories if code.isalpha() and code not in _NOT_COUNTRIES)
    territories = named_once(countries, lambda locale: locale.territories)
    official = [
        (language, territory)
        for territory in territories
        for language in get_official_languages(territory, regional=True, de_facto=True)
    ]
    languages = named_once(sorted({language for language, _ in official}), lambda locale: locale.languages)
    patterns = [locale._data["unit_patterns"] for locale in (source, target)]
    full, short = (source.months["format"][width] for width in ("wide", "abbreviated"))
    return Names(
        territories,
        languages,
        [(language, territory) for language, territory in official if language in languages],
        named_once(_CURRENCIES.split(), lambda locale: locale.currencies),
        [unit for unit in _UNITS.split() if all("long" in of.get(unit, ()) for of in patterns)],
        frozenset(month for month in range(1, 13) if full[month] != short[month]) or frozenset(range(1, 13)),
    )


def _clock(locale: Locale) -> str:
    return "hm" if "h" in locale.time_formats["short"].pattern else "Hm"


def _measurement(value: float, unit: str, locale: Locale) -> str:
    text = units.format_unit(value, unit, "long", locale=locale)
    if unit in text:  # Babel writes the identifier if CLDR has no words
        raise LookupError(f"{locale} has no words for {value} {unit}")
    return text


class Facts:
    """Draws facts; each method returns how a locale writes the one it drew."""

    def __init__(self, random: Random, names: Names) -> None:
        self.random = random
        self.names = names

    def _day(self) -> date:
        while True:
            day = date.fromordinal(self.random.randint(_FIRST_DAY, _LAST_DAY))
            if day.month in self.names.months:
                return day

    def _minute(self) -> time:
        return time(self.random.randrange(24), self.random.choice((0, 10, 15, 20, 30, 40, 45, 50)))

    def _some(self, items: Sequence[str]) -> list[str]:
        return self.random.sample(items, min(len(items), self.random.choice((1, 2, 2, 3, 3, 4))))

    def date(self) -> Render:
        """A day in the locale's full, long, medium or short form."""
        day, form = self._day(), self.random.choice(("full", "full", "long", "long", "medium", "short"))
        return lambda locale: dates.format_date(day, form, locale)

    def date_time(self) -> Render:
        """A day and a time of day."""
        moment = datetime.combine(self._day(), self._minute())
        day_form = self.random.choice(("full", "long", "medium"))

        def render(locale: Locale) -> str:
            parts = (
                dates.format_date(moment, day_form, locale),
                dates.format_time(moment, "short", locale=locale),
            )
            return str(locale.datetime_formats[day_form]).format(parts[1], parts[0])

        return render

    def date_interval(self) -> Render:
        """A span of up to 40 days."""
        start = self._day()
        end = start + timedelta(days=self.random.randint(1, 40))
        skeleton = self.random.choice(("yMMMd", "yMMMd", "MMMd"))
        return lambda locale: dates.format_interval(start, end, skeleton, locale=locale)

    def time(self) -> Render:
        """A time of day, to the minute or second."""
        moment, form = self._minute(), self.random.choice(("short", "medium"))
        return lambda locale: dates.format_time(moment, form, locale=locale)

    def time_interval(self) -> Render:
        """A span within one day."""
        start, end = sorted((self._minute(), self._minute()))
        day = self._day()
        moments = datetime.combine(day, start), datetime.combine(day, end)
        return lambda locale: dates.format_interval(*moments, _clock(locale), locale=locale)

    def relative(self) -> Render:
        """Time from now: "in 3 days", "5 hours ago"."""
        unit, most = self.random.choice(_AGO)
        days = {"year": 365, "week": 7}.get(unit)
        count = self.random.choice((1, -1)) * self.random.randint(1, most)
        span = timedelta(days=days * count) if days else timedelta(**{f"{unit}s": count})
        return lambda locale: dates.format_timedelta(span, add_direction=True, locale=locale)

    def _quantity(self, most_digits: int = 5) -> float:
        digits = self.random.randint(1, most_digits)
        return round(self.random.uniform(0, 10**digits), self.random.choice((0, 0, 1, 2)))

    def number(self) -> Render:
        """A number of up to five digits with up to two decimals."""
        value = self._quantity()
        return lambda locale: numbers.format_decimal(value, locale=locale)

    def compact(self) -> Render:
        """A large number in words: "1.2 million"."""
        value = round(self.random.uniform(1, 999), 1) * self.random.choice((10**3, 10**6, 10**9))
        return lambda locale: numbers.format_compact_decimal(
            value, format_type="long", fraction_digits=1, locale=locale
        )

    def percent(self) -> Render:
        """A share of up to 199.9%."""
        value = self.random.randint(1, 1999) / 1000
        return lambda locale: numbers.format_percent(value, locale=locale, decimal_quantization=False)

    def price(self) -> Render:
        """An amount with the currency's symbol."""
        value, currency = self._quantity(4), self.random.choice(self.names.currencies)
        return lambda locale: numbers.format_currency(value, currency, locale=locale)

    def amount(self) -> Render:
        """A whole amount with the currency's name."""
        value, currency = round(self._quantity()) + 2, self.random.choice(self.names.currencies)
        return lambda locale: numbers.format_currency(
            value, currency, "#,##0", locale, currency_digits=False, format_type="name"
        )

    def measure(self) -> Render:
        """A number and a unit in words."""
        value, unit = self._quantity(4), self.random.choice(self.names.units)
        return lambda locale: _measurement(value, unit, locale)

    def duration(self) -> Render:
        """Up to three units of time."""
        first = self.random.randrange(len(_DURATIONS) - 1)
        parts = [
            (self.random.randint(1, 59), f"duration-{unit}")
            for unit in _DURATIONS[first : first + self.random.choice((1, 2, 2, 3))]
        ]
        return lambda locale: lists.format_list(
            [_measurement(value, unit, locale) for value, unit in parts],
            "unit" if "start" in locale.list_patterns["unit"] else "standard",
            locale,
        )

    def _list(self, names: Callable[[Locale], Sequence[str]]) -> Render:
        style = self.random.choice(("standard", "standard", "or"))
        return lambda locale: lists.format_list(names(locale), style, locale)

    def territories(self) -> Render:
        """One to four countries or regions."""
        codes = self._some(self.names.territories)
        return self._list(lambda locale: [locale.territories[code] for code in codes])

    def languages(self) -> Render:
        """One to four languages."""
        codes = self._some(self.names.languages)
        return self._list(lambda locale: [locale.languages[code] for code in codes])

    def regional_languages(self) -> Render:
        """Languages of a region: "French (Canada)", or two of these."""
        tags = [self.random.choice(self.names.regional) for _ in range(self.random.choice((1, 1, 2)))]
        return self._list(lambda locale: [f"{locale.languages[code]} ({locale.territories[of]})" for code, of in tags])

    def calendar_names(self) -> Render:
        """Two or three weekdays or months."""
        kind, most = self.random.choice((("days", 7), ("months", 12)))
        numbers_of = sorted(self.random.sample(range(most), self.random.choice((2, 3))))
        first = 0 if kind == "days" else 1
        return self._list(lambda locale: [getattr(locale, kind)["stand-alone"]["wide"][first + n] for n in numbers_of])
