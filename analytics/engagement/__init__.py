"""Whether people care: links and a pixel that lead through us, and who came by.

On the way out `decorator` rewrites links, on the way back `views` answers the hits, `machines` tells people from
programs and `hits` puts them on the events lane. What a hit does to a delivery is the DeliveryTracker's business.
"""
