"""Places of São Paulo's postal prefixes around the demo stores, to about half a kilometre.

Enough for the first orders; ``scripts/import_postal_areas.py`` loads a whole country.
"""

from __future__ import annotations

AREAS: dict[str, tuple[float, float]] = {
    "01001": (-23.5505, -46.6334),  # Sé
    "01153": (-23.5270, -46.6600),  # Barra Funda
    "01220": (-23.5430, -46.6500),  # Vila Buarque
    "01227": (-23.5440, -46.6590),  # Higienópolis
    "01239": (-23.5480, -46.6580),  # Higienópolis
    "01304": (-23.5530, -46.6520),  # Consolação
    "01307": (-23.5550, -46.6530),  # Rua Frei Caneca
    "01310": (-23.5614, -46.6560),  # Avenida Paulista
    "01311": (-23.5650, -46.6510),  # Avenida Paulista
    "01318": (-23.5590, -46.6440),  # Bela Vista
    "01402": (-23.5690, -46.6530),  # Jardim Paulista
    "01404": (-23.5720, -46.6560),  # Jardim Paulista
    "01414": (-23.5600, -46.6640),  # Cerqueira César
    "01418": (-23.5630, -46.6600),  # Alameda Santos
    "01420": (-23.5640, -46.6580),  # Alameda Lorena
    "01426": (-23.5620, -46.6680),  # Rua Oscar Freire
    "01451": (-23.5740, -46.6890),  # Faria Lima
    "04004": (-23.5740, -46.6470),  # Paraíso
    "04011": (-23.5850, -46.6390),  # Vila Mariana
    "04038": (-23.5990, -46.6420),  # Mirandópolis
    "04077": (-23.6060, -46.6620),  # Moema
    "04080": (-23.6080, -46.6680),  # Moema
    "04082": (-23.6110, -46.6640),  # Moema
    "04094": (-23.5880, -46.6580),  # Ibirapuera
    "04101": (-23.5830, -46.6350),  # Vila Mariana
    "04505": (-23.5950, -46.6680),  # Vila Nova Conceição
    "04511": (-23.5940, -46.6730),  # Vila Nova Conceição
    "04517": (-23.6010, -46.6690),  # Moema
    "04522": (-23.6020, -46.6720),  # Moema
    "04524": (-23.6010, -46.6650),  # Moema
    "04534": (-23.5850, -46.6760),  # Itaim Bibi
    "04538": (-23.5870, -46.6820),  # Itaim Bibi
    "04551": (-23.5960, -46.6860),  # Vila Olímpia
    "04571": (-23.6090, -46.6950),  # Berrini
    "05001": (-23.5310, -46.6710),  # Água Branca
    "05010": (-23.5370, -46.6790),  # Perdizes
    "05014": (-23.5380, -46.6760),  # Perdizes
    "05402": (-23.5620, -46.6720),  # Avenida Rebouças
    "05410": (-23.5580, -46.6780),  # Pinheiros
    "05414": (-23.5590, -46.6810),  # Rua dos Pinheiros
    "05422": (-23.5670, -46.6880),  # Pinheiros
    "05424": (-23.5690, -46.6950),  # Pinheiros
    "05433": (-23.5560, -46.6890),  # Vila Madalena
    "05434": (-23.5530, -46.6900),  # Vila Madalena
    "05435": (-23.5510, -46.6870),  # Vila Madalena
    "05443": (-23.5480, -46.6950),  # Vila Madalena
    "05449": (-23.5480, -46.7010),  # Alto de Pinheiros
    "05466": (-23.5510, -46.7110),  # Alto de Pinheiros
}
"""Latitude and longitude by the first five digits of a CEP."""
