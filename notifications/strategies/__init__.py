"""In which order the channels of one notification go out: planned at acceptance, decided at the claim.

All deliveries are on the record from the start. Those of later steps wait in the outbox like anything else that is due
later; what is before them decides when they are claimed. A notification without a plan, which goes by every channel at
once, costs nothing here.
"""
