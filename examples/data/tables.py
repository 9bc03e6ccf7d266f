#!/usr/bin/env python3
"""Writes the three tables that the tool is shown with: python3 examples/data/tables.py [folder]

They are made up, and look as tables do in practice: with an id, names, dates, texts, numbers and
missing cells. What is in them is known, because it is written here. Nothing in them is of people.
The same files come out on every machine: only random.random() is used, and no function of the C
library.
"""
import os
import random
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Source:
    """Random numbers and choices from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def between(self, low, high):
        return low + (high - low) * self.random()

    def choose(self, texts, weights=None):
        """One of the texts, with probabilities proportional to the weights."""
        weights = weights or [1] * len(texts)
        left = self.random() * sum(weights)
        for text, weight in zip(texts, weights):
            left -= weight
            if left < 0:
                return text
        return texts[-1]

    def normal(self):
        """Nearly a normal number of mean 0 and deviation 1: a sum of twelve uniform ones."""
        return sum(self.random() for _ in range(12)) - 6


def cell(value):
    text = str(value)
    return '"%s"' % text if ',' in text else text


def write(folder, name, header, rows):
    with open(os.path.join(folder, name), 'w', newline='\n') as file:
        for row in [header] + rows:
            file.write(','.join(cell(value) for value in row) + '\n')


def parcels(folder):
    """900 parcels; is one late? The target is the second column.

    The score is a sum: the service counts most, then the distance, more for economy than for
    express; the weight only above 20 kg; a customs check only for parcels from abroad; Fridays are
    worse. Noise of deviation 0.8 is added, and a parcel is late when the score is above 0. Weights
    are missing in 18 % of the rows and the depot in 2 %. The id and the label say nothing.
    """
    source, rows = Source(1), []
    colours, things = ['Blue', 'Grey', 'Red', 'White'], ['box', 'tube', 'crate', 'bag']
    for number in range(1, 901):
        service = source.choose(['economy', 'standard', 'express'], [5, 3, 2])
        depot = source.choose(['north', 'harbour', 'airport'], [7, 2, 2])
        day = source.choose(['Mon', 'Tue', 'Wed', 'Thu', 'Fri'])
        distance = int(source.between(5, 1400))
        weight = round(0.3 + 35 * source.random() * source.random(), 1)
        pieces = int(source.choose(['1', '2', '3', '4'], [12, 4, 2, 1]))
        abroad = source.choose(['yes', 'no'], [3, 7])
        score = {'economy': 0.6, 'standard': -0.4, 'express': -1.6}[service]
        score += {'economy': 1.5, 'standard': 1.0, 'express': 0.4}[service] * (distance - 700) / 700
        score += 0.12 * max(0, weight - 20) + 0.25 * (pieces - 1)
        score += {'yes': 1.1, 'no': -0.4}[abroad]
        score += {'north': 0.0, 'harbour': 0.7, 'airport': -0.7}[depot]
        score += 0.5 if day == 'Fri' else -0.1
        late = 'yes' if score + 0.8 * source.normal() > 0.2 else 'no'
        label = '%s %s, no. %d' % (source.choose(colours), source.choose(things),
                                   int(source.between(100, 1000)))
        rows.append([number, late, label, service, day, distance,
                     '' if source.random() < 0.18 else weight, pieces, abroad,
                     '' if source.random() < 0.02 else depot])
    write(folder, 'parcels.csv', ['parcel', 'late', 'label', 'service', 'day', 'distance_km',
                                  'weight_kg', 'pieces', 'abroad', 'depot'], rows)


def tents(folder):
    """1,200 tents, judged poor, fair, good or best by six categories; all columns are text.

    A tent that leaks in rain, or that is heavy and very expensive, is poor. The others get points
    for a low price, for room, for few poles and for dry storage; the limits 4, 6 and 8 divide the
    classes. One tent in fifty gets the class next to its own.
    """
    source, rows = Source(2), []
    classes = ['poor', 'fair', 'good', 'best']
    for _ in range(1200):
        price = source.choose(['low', 'medium', 'high', 'very high'])
        persons = source.choose(['2', '3', '4', '5more'])
        poles = source.choose(['1', '2', '3more'])
        weight = source.choose(['light', 'medium', 'heavy'])
        rain = source.choose(['leaks', 'damp', 'dry'], [1, 2, 2])
        storage = source.choose(['none', 'inside', 'outside', 'both'])
        points = {'low': 4, 'medium': 3, 'high': 2, 'very high': 0}[price]
        points += {'2': 0, '3': 1, '4': 2, '5more': 2}[persons]
        points += {'1': 1, '2': 1, '3more': 0}[poles]
        points += {'light': 2, 'medium': 1, 'heavy': 0}[weight]
        points += {'none': 0, 'inside': 1, 'outside': 0, 'both': 1}[storage] * (rain == 'dry')
        judged = sum(points >= limit for limit in (4, 6, 8))
        if rain == 'leaks' or (weight == 'heavy' and price == 'very high'):
            judged = 0
        if source.random() < 0.02:
            judged += 1 if judged == 0 or (judged < 3 and source.random() < 0.5) else -1
        rows.append([price, persons, poles, weight, rain, storage, classes[judged]])
    write(folder, 'tents.csv', ['price', 'persons', 'poles', 'weight', 'rain', 'storage',
                                'judged'], rows)


def houses(folder):
    """800 houses and flats with their prices, in the hundred thousands.

    The price is area times a rate of the district, times a factor for the condition, less 1.2 % for
    each kilometre to the centre, plus the garden (houses only; flats have none, so the cell is
    missing), plus a lift's worth for high flats, times noise of deviation 6 %. The id and the date
    of the sale say nothing. The year is missing in 10 % of the rows, the condition in 4 %.
    """
    source, rows = Source(3), []
    rates = {'Riverside': 4100, 'Old Town': 4800, 'Station': 3000, 'Mill Hill': 3500,
             'Northfield': 2600}
    for number in range(800):
        district = source.choose(list(rates), [3, 2, 4, 3, 4])
        kind = source.choose(['flat', 'terraced', 'detached'], [5, 3, 2])
        area = int({'flat': 35, 'terraced': 80, 'detached': 100}[kind] + 90 * source.random())
        rooms = max(1, int(area / 27 + source.between(-0.7, 0.9)))
        year = int(1900 + 120 * source.random())
        garden = 'NA' if kind == 'flat' else int(source.between(40, 600))
        condition = source.choose(['poor', 'fair', 'good', 'renovated'], [1, 3, 4, 2])
        kilometres = round(source.between(0.3, 14), 1)
        floor = int(source.between(0, 8)) if kind == 'flat' else 0
        price = area * rates[district] * (1 - 0.012 * kilometres)
        price *= {'poor': 0.75, 'fair': 0.92, 'good': 1.0, 'renovated': 1.18}[condition]
        price *= 1 + 0.0012 * (year - 1960)
        price += 0 if garden == 'NA' else 260 * garden
        price += 9000 * floor if year >= 1975 else -5000 * floor
        price *= 1 + 0.06 * source.normal()
        date = '2024-%02d-%02d' % (1 + int(12 * source.random()), 1 + int(28 * source.random()))
        rows.append(['H%04d' % number, date, district, kind, area, rooms,
                     '' if source.random() < 0.1 else year, garden,
                     'NA' if source.random() < 0.04 else condition, kilometres, floor,
                     500 * int(price / 500 + 0.5)])
    write(folder, 'houses.csv', ['id', 'sold', 'district', 'kind', 'area_m2', 'rooms', 'built',
                                 'garden_m2', 'condition', 'centre_km', 'floor', 'price'], rows)


if __name__ == '__main__':
    for table in (parcels, tents, houses):
        table(sys.argv[1] if len(sys.argv) > 1 else FOLDER)
