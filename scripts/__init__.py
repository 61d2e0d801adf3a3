"""Programs for people who run or develop Largo; the product never imports them."""
